import { metrics } from '@opentelemetry/api';
import { LedgerService } from 'nestjs-ledger';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';
