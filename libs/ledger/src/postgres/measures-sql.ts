/** Both sums of one row of the entries, as a select list. @internal */
export const MEASURES_OF_ENTRY = ['consume', 'supply']
  .map((direction) => {
    const tokens = 'prompt_tokens::bigint + completion_tokens';
    const name = direction === 'consume' ? 'consumed' : 'supplied';
    return `CASE WHEN direction = '${direction}' THEN ${tokens} ELSE 0 END AS ${name}`;
  })
  .join(', ');
