import { terminalOutput } from './command-output.js';
import { runProgram } from './program.js';

const code = await runProgram(process.argv.slice(2), terminalOutput);
// A connection that was refused half-way would keep the process until the server gives it up, a
// minute later. What was printed goes out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
