/** An error in the form of OpenAI's API. */
export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: 'invalid_request_error' | 'server_error';
    /** The field at fault, if there is one. */
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** Makes an error body; the default type is `invalid_request_error`. */
export function openAiError(
  message: string,
  facts: { type?: OpenAiError['error']['type']; param?: string; code?: string } = {},
): OpenAiError {
  const { type = 'invalid_request_error', param = null, code = null } = facts;
  return { error: { message, type, param, code } };
}

/** Whether a response body is already in OpenAI's form. */
export function isOpenAiError(body: unknown): body is OpenAiError {
  return (
    typeof body === 'object' &&
    body !== null &&
    'error' in body &&
    typeof body.error === 'object' &&
    body.error !== null
  );
}
