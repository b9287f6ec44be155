import { describe, expect, it } from 'vitest';
import { UpstreamAddress } from './upstream-address.js';

describe('UpstreamAddress', () => {
  it.each([
    ['https://api.openai.com/v1', 'https://api.openai.com/v1/models'],
    ['https://api.openai.com/v1//', 'https://api.openai.com/v1/models'],
    ['http://host:1', 'http://host:1/models'],
  ])('puts a path behind %s, and sends the key as Bearer', (base, url) => {
    const address = new UpstreamAddress(base);
    expect(address.urlOf('/models').href).toBe(url);
    expect(address.keyHeader('sk-1')).toEqual({ authorization: 'Bearer sk-1' });
    expect(address.keyHeader(undefined)).toEqual({});
  });

  it.each(['', '/'])('keeps the version of Azure at each call (path ends with "%s")', (end) => {
    const base = `https://me.openai.azure.com/openai/deployments/gpt4o${end}?api-version=2024-10-21`;
    const address = new UpstreamAddress(base);
    expect(address.urlOf('/chat/completions').href).toBe(
      'https://me.openai.azure.com/openai/deployments/gpt4o/chat/completions?api-version=2024-10-21',
    );
    expect(address.keyHeader('azure')).toEqual({ 'api-key': 'azure' });
  });

  it("joins the caller's query with its own", () => {
    const plain = new UpstreamAddress('http://host/v1');
    expect(plain.urlOf('/models', 'limit=1').href).toBe('http://host/v1/models?limit=1');
    const azure = new UpstreamAddress('http://host/v1?api-version=preview');
    expect(azure.urlOf('/models', 'limit=1').href).toBe(
      'http://host/v1/models?api-version=preview&limit=1',
    );
  });

  it('finds a path again, whatever else was asked for', () => {
    const address = new UpstreamAddress('http://host/v1');
    const first = address.urlOf('/chat/completions');
    for (let n = 0; n < 100; n += 1) {
      expect(address.urlOf(`/models/${n}`).href).toBe(`http://host/v1/models/${n}`);
    }
    expect(address.urlOf('/chat/completions')).toBe(first);
    expect(address.urlOf('/chat/completions', 'a=1').href).toMatch(/completions\?a=1$/);
  });
});
