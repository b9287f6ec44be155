#!/usr/bin/env node
// Here before the first build, so that npm links the command when it installs the workspace.
import '../dist/esm/cli/main.js';
