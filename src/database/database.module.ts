import { Module, type DynamicModule } from '@nestjs/common';
import { GatewayDatabase } from './gateway-database.js';

/**
 * Stops the database last: it is global, and Nest calls the shutdown hooks of global modules after
 * all others. By then the ledger has written its entries.
 */
@Module({})
export class DatabaseModule {
  static forRoot(database: GatewayDatabase): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [{ provide: GatewayDatabase, useValue: database }],
    };
  }
}
