#!/usr/bin/env node
import { terminalOutput } from './command-output.js';
import { runProgram } from './program.js';

process.exitCode = await runProgram(process.argv.slice(2), terminalOutput);
