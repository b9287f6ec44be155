import { HttpException } from '@nestjs/common';

/** Nobody sees it; nginx has it for a client that left before there was an answer. */
const CLIENT_LEFT = 499;

/** The client has left before it was answered. Nobody reads this, and it is no fault of the gateway. */
export class ClientLeftException extends HttpException {
  constructor() {
    super('The client has left.', CLIENT_LEFT);
  }
}
