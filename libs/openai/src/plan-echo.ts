import { textIn } from './answer-texts.js';
import { describeIssues, type RequestFault } from './describe-issues.js';
import { loopbackRequest, type LoopbackRequest } from './loopback-request.schema.js';
import { promptOfChat } from './prompt.js';
import { Tokenizer } from './tokenizer.js';

/**
 * Characters of a stop. V8 searches for up to 250 of them in time that grows with the text, and for
 * more in time that grows with text times stop: hours for a body of 16 MB. Source: `kBMMaxShift` in
 * https://github.com/v8/v8/blob/main/src/strings/string-search.h
 */
const LONGEST_STOP = 128;

/**
 * Characters of an answer in one body, over all choices; a stream may have any number. Making and
 * reading such a body blocks the event loop for some 10 ms.
 */
const MAX_BODY_LENGTH = 1024 * 1024;

/** Facts that the built-in provider needs to answer a request. */
export interface EchoPlan {
  readonly model: string;
  readonly isStream: boolean;
  /** 1 to 128. */
  readonly choices: number;
  /** Maximum tokens of an answer; may be infinite. */
  readonly maxTokens: number;
  /** The repeated text. */
  readonly said: string;
  readonly promptTokens: number;
}

/** A plan, or the reason why there is none. */
export type PlannedEcho =
  | { readonly plan: EchoPlan; readonly fault?: undefined }
  | { readonly plan?: undefined; readonly fault: RequestFault };

type Count = (tokenizer: Tokenizer, texts: readonly string[]) => Promise<number> | number;

const countOffLoop: Count = (tokenizer, texts) => tokenizer.countAll(texts);

/**
 * Checks a request to the built-in provider, and counts its prompt for the named model.
 *
 * @param count counting function; the default leaves the event loop free
 */
export async function planEcho(json: unknown, count = countOffLoop): Promise<PlannedEcho> {
  const { data: request, error } = loopbackRequest.safeParse(json);
  if (!request) return { fault: describeIssues(error.issues) };
  const said = cutAtStop(echo(request), request.stop);
  if (said === undefined) {
    return { fault: { message: `stop: at most ${LONGEST_STOP} characters`, param: 'stop' } };
  }
  const isStream = request.stream === true;
  const choices = request.n ?? 1;
  if (!isStream && said.length * choices > MAX_BODY_LENGTH) {
    const message = `the answer would have more than ${MAX_BODY_LENGTH} characters; ask for a stream`;
    return { fault: { message, param: 'n' } };
  }
  const { texts, markTokens } = promptOfChat(request);
  const tokenizer = await Tokenizer.load(request.model);
  const promptTokens = markTokens + (await count(tokenizer, texts));
  const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
  const { model } = request;
  return { plan: { model, isStream, choices, maxTokens, said, promptTokens } };
}

function echo({ messages }: LoopbackRequest): string {
  const last = messages.findLast((message) => message.role === 'user') ?? messages.at(-1);
  return `You said: ${last ? textIn(last.content) : ''}`;
}

/** Undefined if a stop is too long. */
function cutAtStop(text: string, stop: LoopbackRequest['stop']): string | undefined {
  const marks = (typeof stop === 'string' ? [stop] : (stop ?? [])).filter((mark) => mark !== '');
  if (marks.some((mark) => mark.length > LONGEST_STOP)) return undefined;
  const ends = marks.map((mark) => text.indexOf(mark)).filter((at) => at >= 0);
  return text.slice(0, Math.min(text.length, ...ends));
}
