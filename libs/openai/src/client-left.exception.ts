import { HttpException } from '@nestjs/common';

/** Never seen by a client; nginx uses it for a client that left before the answer. */
const CLIENT_LEFT = 499;

/**
 * The client has left before its answer. It is read by no client, and is no fault of the gateway.
 */
export class ClientLeftException extends HttpException {
  constructor() {
    super('The client has left.', CLIENT_LEFT);
  }
}
