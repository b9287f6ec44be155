import { describe, expect, it } from 'vitest';
import { headersForClient, headersForUpstream } from './pass-headers.js';

describe('headersForUpstream', () => {
  it('keeps what an answer depends on and what finds a call again', () => {
    const headers = {
      accept: 'text/event-stream',
      'user-agent': 'OpenAI/JS 6.0.0',
      'idempotency-key': 'once',
      'openai-beta': 'assistants=v2',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'x-client-request-id': 'mine',
    };
    expect(headersForUpstream(headers)).toEqual(headers);
  });

  it('lets nothing through that names the client, its account or its connection', () => {
    const names =
      'host connection keep-alive te upgrade authorization proxy-authorization cookie api-key ' +
      'x-api-key openai-organization openai-project forwarded via x-forwarded-for x-forwarded-host ' +
      'x-real-ip cf-connecting-ip true-client-ip fly-client-ip x-client-ip x-cluster-client-ip ' +
      'x-envoy-external-address fastly-client-ip x-azure-clientip x-original-forwarded-for origin ' +
      'referer expect accept-encoding content-type content-length content-encoding baggage';
    const headers = Object.fromEntries(names.split(' ').map((name) => [name, 'x']));
    expect(headersForUpstream(headers)).toEqual({});
  });

  it('leaves out what the connection names as its own', () => {
    const headers = { connection: 'close, X-Request-Id', 'x-request-id': 'r', accept: '*/*' };
    expect(headersForUpstream(headers)).toEqual({ accept: '*/*' });
  });
});

describe('headersForClient', () => {
  it('keeps what the answer is and when to ask again', () => {
    const headers = {
      'content-type': 'application/json',
      'retry-after': '3',
      'retry-after-ms': '2500',
      'x-request-id': 'req_1',
      'x-should-retry': 'true',
    };
    expect(headersForClient(headers)).toEqual(headers);
  });

  it("shows neither the gateway's account nor rules for browsers", () => {
    const names =
      'openai-organization openai-project x-ratelimit-limit-requests x-ratelimit-remaining-tokens ' +
      'anthropic-ratelimit-requests-remaining anthropic-organization-id x-ms-region set-cookie ' +
      'access-control-allow-origin access-control-allow-credentials clear-site-data refresh ' +
      'content-security-policy strict-transport-security alt-svc location server link nel report-to ' +
      'www-authenticate transfer-encoding content-length connection trailer cf-ray via';
    const headers = Object.fromEntries(names.split(' ').map((name) => [name, 'x']));
    expect(headersForClient(headers)).toEqual({});
  });
});
