export { adviseLedger } from './advise-ledger.js';
export type {
  AdviceEnvironment,
  ChangedSetting,
  Constraint,
  Evidence,
  Finding,
  FindingRule,
  FindingSeverity,
  SettingChange,
} from './finding.interface.js';
export {
  StatsWindow,
  summarizeWindow,
  type StatsSample,
  type WindowFacts,
} from './stats-window.js';
