import { BenchNats, natsVersion } from '../setup/bench-nats.js';
import type { Part } from './part.js';
import { measureStream } from './stream/measure-stream.js';

/** The cost of NATS between gateways and writers. */
export const stream: Part = {
  name: 'stream',
  title:
    'Gateways and writers over NATS, three servers on this machine, beside one process without',
  isQuickOnlyByName: true,
  missing: () => (natsVersion() === undefined ? 'nats-server (or NATS_SERVER)' : undefined),
  run: (bench) =>
    measureStream(bench, `nats-server ${natsVersion()}, three replicas`, () => BenchNats.open()),
};
