import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import type { Part } from './part.js';
import { entryOf, work, workAndRecord, type Draft } from './work.js';

@WebSocketGateway(Number(process.env['WS_PORT']))
class Sockets {
  constructor(private readonly ledger: LedgerService) {}

  @SubscribeMessage('say')
  @RecordUsage(entryOf)
  say(@MessageBody('memo') memo: string, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @SubscribeMessage('say plainly')
  sayPlainly(@MessageBody('memo') memo: string): Promise<string> {
    return workAndRecord(memo, this.ledger);
  }
}

export const sockets = (): Part => ({ providers: [Sockets] });
