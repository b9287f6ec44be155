import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as an upstream sees it. */
export interface Asked {
  readonly headers: IncomingHttpHeaders;
  /** Path and query. */
  readonly url: string;
  /** The body as it came, and what it says; undefined if it is no JSON. */
  readonly text: string;
  readonly body: any;
  readonly response: ServerResponse;
}

/** An upstream over a real socket, whose answers the test writes byte by byte. */
export class UpstreamServer {
  readonly asked: Asked[] = [];
  /** Calls whose connection was closed before they were answered in full. */
  abortedCalls = 0;
  answer: (asked: Asked) => unknown = ({ response }) => void response.writeHead(500).end();

  private readonly server = createServer((request, response) => {
    let text = '';
    response.on('close', () => (this.abortedCalls += response.writableFinished ? 0 : 1));
    request.setEncoding('utf8').on('data', (some: string) => (text += some));
    request.on('end', () => {
      const { headers, url = '' } = request;
      const asked = { headers, url, text, body: parsed(text), response };
      this.asked.push(asked);
      this.answer(asked);
    });
  });

  /** @returns its address, as an OpenAI client takes it */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Begins a stream. */
export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'req_1' });
}

/** An event with a chunk that says something for one choice. */
export function says(content: string, index = 0, end = '\n\n'): string {
  const choices = [{ index, delta: { content }, finish_reason: null }];
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices })}${end}`;
}
