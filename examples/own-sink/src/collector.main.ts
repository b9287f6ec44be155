import { Collector } from './collector.js';

const { COLLECTOR_PORT = '4000', COLLECTOR_FILE = 'entries.ndjson' } = process.env;
const collector = await Collector.open({ file: COLLECTOR_FILE });
const port = await collector.listen(Number(COLLECTOR_PORT));
process.stdout.write(
  `collector listens on ${port}, ${collector.size} entries in ${COLLECTOR_FILE}\n`,
);
