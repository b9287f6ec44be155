import { openAiError } from '@app/openai';
import { BadRequestException, HttpException, HttpStatus } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** Far above any report that people read; a period can be cut. */
const MAX_REPORT_BYTES = 256 * 1024 * 1024;
/** Reports of all callers that are made or read at once; each may take as much of the disk. */
const MAX_REPORTS = 8;
/** Bytes that are collected before they are written. */
const WRITE_BYTES = 256 * 1024;

/**
 * Makes reports in files, so that the database is read at its own pace and not at that of who reads the
 * report: an unread one would hold a connection that all others wait for. Each caller has one at a time,
 * and they are made one after the other. A file has no name once it is open, and is gone with its reader.
 */
export class ReportFiles {
  private readonly callers = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();

  /** @param folder where the files are; made if it is not there, for its owner only */
  constructor(private readonly folder: string) {}

  /**
   * Writes lines into a file. The caller gets no other one until `done` is called, which closes the
   * file; it must be called in every case, and may be more than once.
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
  /** The file, from its start, once all of it is written. Rejects with what the read failed with. */
  ready: Promise<FileHandle> = Promise.reject(new Error('not started'));
  private file: FileHandle | undefined;
  private isDone = false;
  /** All of it is in the file: nothing of the database is held any more. */
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
    // A client that has all of it may ask for the next one at once, before the file is closed.
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
      bytes += (await this.file.write(text)).bytesWritten;
      text = '';
      if (bytes > MAX_REPORT_BYTES) throw tooLarge();
    }
    if (text !== '') await this.file.write(text);
    this.isWhole = true;
    return this.file;
  }
}

function refusal(status: HttpStatus, message: string): HttpException {
  return new HttpException(openAiError(message, { code: 'report_running' }), status);
}

function tooLarge(): BadRequestException {
  const message = 'The report has more than 256 MiB. Ask for a shorter period or fewer groups.';
  return new BadRequestException(openAiError(message, { code: 'report_too_large' }));
}
