import { describe, expect, it } from 'vitest';
import { parseKafkaUrl } from './parse-kafka-url.js';

describe('an address of Kafka', () => {
  it('names brokers, a login and options', () => {
    expect(parseKafkaUrl('kafka://k1')).toEqual({ brokers: ['k1:9092'] });
    const all =
      'kafka://u%40x:p%3A1@k1:9093,k2/?sasl=SCRAM-SHA-512&tls=true&replicas=1&purge=false';
    expect(parseKafkaUrl(`${all}&topic=t&group=g`)).toEqual({
      brokers: ['k1:9093', 'k2:9092'],
      connection: {
        ...{ tls: {}, tlsServerName: true },
        sasl: { mechanism: 'SCRAM-SHA-512', username: 'u@x', password: 'p:1' },
      },
      ...{ replicas: 1, purge: false, topic: 't', group: 'g' },
    });
    expect(parseKafkaUrl('kafka://[::1]:9092,[::1]?tls=false')).toEqual({
      brokers: ['[::1]:9092', '[::1]:9092'],
    });
  });

  it.each([
    ...['kafka://', 'nats://k1', 'kafka://a@b@c', 'kafka://k1,', 'kafka://k?x=1', ''],
    ...['kafka://k?replicas=many', 'kafka://k?tls=yes', 'kafka://k?topic='],
    ...['kafka://u:hush@k', 'kafka://hush@k?sasl=PLAIN', 'kafka://k?sasl=PLAIN'],
    ...['kafka://u:hush@k?sasl=OAUTHBEARER', 'kafka://u:hush%ss@k?sasl=PLAIN'],
  ])('is refused without being quoted: %j', (url) => {
    const refuse = (): unknown => parseKafkaUrl(url);
    expect(refuse).toThrow(RangeError);
    expect(refuse).not.toThrow('hush');
  });
});
