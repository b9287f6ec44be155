import { openAiError } from '@app/openai';
import { BadRequestException, HttpException, HttpStatus } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** Far above any report that people read; a period can be divided. */
const MAX_REPORT_BYTES = 256 * 1024 * 1024;
/** Maximum reports of all callers being made or read; each may use the maximum on disk. */
const MAX_REPORTS = 8;
/** Bytes collected before a write. */
const WRITE_BYTES = 256 * 1024;

/**
 * Makes reports in files, so that the database is read at its own pace and not at the reader's: an
 * unread report would hold a connection that all others need. Each caller has one at a time, and
 * they are made one after the other. A file has no name once it is open, and disappears with its
 * reader.
 */
export class ReportFiles {
  private readonly callers = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();

  /** @param folder of the files; created if missing, for its owner only */
  constructor(private readonly folder: string) {}

  /**
   * Writes lines into a file. The caller gets no other file until `done` is called, which closes
   * it. `done` must always be called, and may be called more than once.
   *
   * @throws HttpException 429 if the caller has one already, 503 if there are too many of others
   */
  start(caller: string, lines: AsyncGenerator<string, void, undefined>): ReportFile {
    if (this.callers.has(caller)) {
      throw refusal(HttpStatus.TOO_MANY_REQUESTS, 'Another report of yours is under way.');
    }
    if (this.callers.size >= MAX_REPORTS) {
      throw refusal(HttpStatus.SERVICE_UNAVAILABLE, 'Too many reports are under way.');
    }
    this.callers.add(caller);
    const file = new ReportFile(lines, () => this.callers.delete(caller));
    file.ready = this.last.then(() => file.write(this.folder));
    this.last = file.ready.catch(() => undefined);
    return file;
  }
}

/** One report. */
export class ReportFile {
  /** The complete file, positioned at its start. Rejects with the error of the read. */
  ready: Promise<FileHandle> = Promise.reject(new Error('not started'));
  private file: FileHandle | undefined;
  private isDone = false;
  /** Whether the file is complete, so that no connection is held any more. */
  private isWhole = false;

  constructor(
    private readonly lines: AsyncGenerator<string, void, undefined>,
    private readonly release: () => void,
  ) {
    this.ready.catch(() => undefined);
  }

  /** Ends the read, closes the file, and lets the caller have another report. */
  async done(): Promise<void> {
    if (this.isDone) return;
    this.isDone = true;
    // A client that has received everything may request the next report before the file is closed.
    if (!this.isWhole) {
      await this.lines.return().catch(() => undefined);
      await this.ready.catch(() => undefined);
    }
    this.release();
    await this.file?.close().catch(() => undefined);
  }

  async write(folder: string): Promise<FileHandle> {
    if (this.isDone) throw new Error('nobody waits for the report any more');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${randomUUID()}.csv`);
    this.file = await open(path, 'wx+', 0o600);
    await rm(path);
    let text = '';
    let bytes = 0;
    for await (const line of this.lines) {
      text += line;
      if (text.length < WRITE_BYTES) continue;
      bytes += await append(this.file, text);
      text = '';
      if (bytes > MAX_REPORT_BYTES) throw tooLarge();
    }
    if (text !== '') await append(this.file, text);
    this.isWhole = true;
    return this.file;
  }
}

/**
 * On a full disk `write` may store a part of the text without an error.
 *
 * @returns the bytes of the text, which are all stored
 */
async function append(file: FileHandle, text: string): Promise<number> {
  const bytes = Buffer.from(text);
  await file.appendFile(bytes);
  return bytes.length;
}

function refusal(status: HttpStatus, message: string): HttpException {
  return new HttpException(openAiError(message, { code: 'report_running' }), status);
}

function tooLarge(): BadRequestException {
  const message = 'The report has more than 256 MiB. Ask for a shorter period or fewer groups.';
  return new BadRequestException(openAiError(message, { code: 'report_too_large' }));
}
