import { Controller, Get, Res } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session, type Http2ServerResponse } from 'node:http2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CallLog, latch, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
let rest = latch();

@Controller()
class Http2Controller {
  @Get('value')
  @RecordUsage(calls.map)
  value(): object {
    return { answer: 42 };
  }

  @Get('generator')
  @RecordUsage(calls.map)
  async *generator(): AsyncGenerator<string> {
    yield 'first ';
    await rest.promise;
    yield 'second';
  }

  @Get('manual')
  @RecordUsage(calls.map)
  async manual(@Res() { raw }: { raw: Http2ServerResponse }): Promise<void> {
    raw.writeHead(200);
    raw.write('first ');
    await rest.promise;
    raw.end('second');
  }

  @Get('slow')
  @RecordUsage(calls.map)
  async slow(): Promise<string> {
    await rest.promise;
    return 'late';
  }
}

describe('LedgerInterceptor over HTTP/2', () => {
  let app: RecordedApp;
  let session: ClientHttp2Session;

  beforeEach(async () => {
    calls.clear();
    rest = latch();
    const adapter = new FastifyAdapter({ http2: true } as object);
    app = await RecordedApp.start(adapter, { controllers: [Http2Controller] });
    session = connect(`http://127.0.0.1:${app.port}`);
  });

  afterEach(async () => {
    session.destroy();
    await app.close();
  });

  it('maps each of many streams of a session once', async () => {
    const paths = ['/value', '/value', '/generator'];
    rest.open();
    await Promise.all(
      paths.map(async (path) => {
        const stream = session.request({ ':path': path });
        stream.resume();
        await once(stream, 'close');
      }),
    );
    await calls.reach(3);
    expect(calls.ends).toEqual(['completed', 'completed', 'completed']);
  });

  it.each(['/generator', '/slow'])('maps %s once whose stream was reset', async (path) => {
    const stream = session.request({ ':path': path });
    stream.on('error', () => undefined);
    // An answer on the same session shows that the server has read the request before it.
    if (path === '/generator') await once(stream, 'data');
    else await once(session.request({ ':path': '/value' }).resume(), 'close');
    const before = calls.all.length;
    stream.close(constants.NGHTTP2_CANCEL);
    await calls.reach(before + 1);
    rest.open();
    session.destroy();
    await app.close();
    expect(calls.ends.slice(before)).toEqual(['aborted']);
  });

  it('maps a HEAD request once that was reset before it was answered', async () => {
    const stream = session.request({ ':method': 'HEAD', ':path': '/slow' });
    stream.on('error', () => undefined);
    await once(session.request({ ':path': '/value' }).resume(), 'close');
    stream.close(constants.NGHTTP2_CANCEL);
    await calls.reach(2);
    rest.open();
    session.destroy();
    await app.close();
    expect(calls.ends).toEqual(['completed', 'aborted']);
  });

  it('maps a HEAD request once as completed even if the handler continues to write', async () => {
    const stream = session.request({ ':method': 'HEAD', ':path': '/manual' });
    await once(stream.resume(), 'close');
    await calls.reach(1);
    rest.open();
    session.destroy();
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });
});
