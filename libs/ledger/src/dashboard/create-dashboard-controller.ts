import { Controller, Get, Header, Headers, Inject, Query, Res, Sse, Type } from '@nestjs/common';
import { UseGuards, VERSION_NEUTRAL, type CanActivate, type MessageEvent } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import type { Observable } from 'rxjs';
import { DashboardLedgers } from './dashboard-ledgers.js';
import { dashboardPage } from './dashboard-page.js';

/** A name for the events below the page, unlikely in applications. */
const EVENTS_PATH = 'ledger-events';

/**
 * Makes the controller of one dashboard: the page, and its events below it.
 *
 * @param guards checked in order, for the page and for its events; not empty
 * @internal
 */
export function createDashboardController(
  path: string,
  guards: readonly Type<CanActivate>[],
): Type<unknown> {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseGuards(...guards)
  class LedgerDashboardController {
    constructor(@Inject(DashboardLedgers) private readonly ledgers: DashboardLedgers) {}

    @Get()
    @Header('Content-Type', 'text/html; charset=utf-8')
    @Header('Content-Security-Policy', () => dashboardPage().contentSecurityPolicy)
    @Header('Cache-Control', 'no-store')
    @Header('X-Content-Type-Options', 'nosniff')
    @Header('Referrer-Policy', 'no-referrer')
    page(): string {
      return dashboardPage().html;
    }

    /**
     * @param after the last event id, which a page that makes a new connection can't send in a
     *   header
     */
    @Sse(EVENTS_PATH)
    events(
      @Query('ledger') ledger?: string,
      @Query('after') after?: string,
      @Headers('last-event-id') lastEventId?: string,
      @Res({ passthrough: true }) response?: ServerResponse & { raw?: ServerResponse },
    ): Observable<MessageEvent> {
      const { feed, facts } = this.ledgers.feedOf(oneOf(ledger));
      const raw = response?.raw ?? response;
      if (raw !== undefined) hangUpAfter(raw, () => feed.isClosed);
      return feed.watch(facts, lastEventId ?? oneOf(after));
    }
  }
  return LedgerDashboardController;
}

/**
 * Ends the connection after the answer if the process is stopping. A kept-alive connection would
 * keep the HTTP server open until the browser closes it.
 */
function hangUpAfter(response: ServerResponse, isStopping: () => boolean): void {
  const { socket, req } = response;
  // Under HTTP/2 the socket also serves other requests.
  if (req.httpVersionMajor > 1) return;
  response.once('finish', () => {
    if (isStopping()) socket?.end();
  });
}

/** A repeated parameter arrives as an array. */
function oneOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
