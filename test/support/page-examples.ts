const COMPLETION = `
interface Completion {
  text: string;
  usage: { promptTokens: number; completionTokens: number };
}
declare function complete(text: string): Promise<Completion>;`;

/**
 * What stands around each TypeScript block of the pages, by the block's name. Readers skip imports that each
 * block repeats, and the compiler needs them.
 */
export const SURROUNDINGS: Readonly<Record<string, (code: string) => string>> = {
  before: (code) => chatController(code),
  after: (code) => chatController(code),
  integration: (code) => code,
  stores: (code) => `${code}
export const streams = [toAll, toArchive];`,
  'ten-lines': (code) => `
import { Injectable, Module } from '@nestjs/common';
import { ledgerConfig, LedgerModule, LedgerService } from 'nestjs-ledger';
${code}`,
  'is-global': (code) => `
import { Module } from '@nestjs/common';
import { ledgerConfig, LedgerModule } from 'nestjs-ledger';
${code}`,
  'use-factory': (code) => `
import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { ledgerConfig, LedgerModule, type LedgerConfiguration } from 'nestjs-ledger';
${code}`,
  'plain-pg': (code) => `
import { Module } from '@nestjs/common';
import { createLedgerConfig, LedgerModule } from 'nestjs-ledger';
import { Pool } from 'pg';
${code}`,
  wait: (code) => `
import { type LedgerService, isLedgerError } from 'nestjs-ledger';
export async function charge(ledger: LedgerService, uuid: string): Promise<void> {
${code}
}`,
  streaming: (code) => `
import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { RecordUsage, Usage, type defaultLedger, type UsageDraft } from 'nestjs-ledger';
import { from, map, tap, type Observable } from 'rxjs';
@Controller()
export class Words {
${code}
}`,
  routes: (code) => `
import { Body, Controller, Injectable, Post, UseGuards, type CanActivate } from '@nestjs/common';
import { RecordUsage } from 'nestjs-ledger';
${COMPLETION}
@Injectable()
class AuthGuard implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}
declare class Model {
  complete(prompt: string): Promise<Completion>;
}
${code}`,
  'own-ledger': (code) => `
import { Body, Controller, Post } from '@nestjs/common';
import { RecordUsage, type UsageCall, type UsageMapper } from 'nestjs-ledger';
import { usage } from './ledgers.js';
interface Completion { user: string; model: string; usage: { promptTokens: number } }
declare class Model {
  complete(prompt: string): Promise<Completion>;
}
${code}`,
  graphql: (code) => `
import { Args, GqlExecutionContext, Query, Resolver } from '@nestjs/graphql';
import { RecordUsage, Usage, type UsageDraft } from 'nestjs-ledger';
interface GqlContext { req: { user: { id: number } } }
declare function search(text: string): Promise<{ text: string; tokens: number }>;
${code}`,
  websockets: (code) => `
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RecordUsage } from 'nestjs-ledger';
${COMPLETION}
${code}`,
  messages: (code) => `
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { RecordUsage } from 'nestjs-ledger';
interface Task { userId: number; text: string }
${COMPLETION}
${code}`,
  cron: (code) => `
import { Injectable } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import { RecordUsage, Usage, type UsageDraft } from 'nestjs-ledger';
declare function writeReport(): Promise<number>;
${code}`,
  standalone: (code) => `
import { NestFactory } from '@nestjs/core';
import { LedgerService } from 'nestjs-ledger';
import { AppModule } from './ten-lines.js';
declare const calls: { userId: number; promptTokens: number }[];
${code}`,
  bullmq: (code) => `
import { Processor, WorkerHost } from '@nestjs/bullmq';
import type { Job } from 'bullmq';
import { RecordUsage } from 'nestjs-ledger';
interface Task { userId: number; text: string }
interface Summary { text: string; usage: { promptTokens: number; completionTokens: number } }
declare function summarise(text: string): Promise<Summary>;
${code}`,
  track: (code) => `
import { LedgerService } from 'nestjs-ledger';
export abstract class Consumer {
  constructor(private readonly ledger: LedgerService) {}
  abstract consume(message: string): Promise<void>;
  async take(message: string): Promise<void> {
${code}
  }
}`,
  subscription: (code) => `
import { Resolver, Subscription } from '@nestjs/graphql';
import { RecordUsage, Usage, type UsageDraft } from 'nestjs-ledger';
declare class Model {
  stream(): AsyncIterable<string>;
}
@Resolver()
export class Words {
  constructor(readonly model: Model) {}
${code}
}
export const decorators = [Subscription];`,
  'code-options': (code) => `
import { createLedgerConfig, LedgerModule } from 'nestjs-ledger';
declare function alarm(text: string): void;
declare function audit(text: string): void;
export const module = ${code}`,
  health: (code) => `
import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { LedgerHealthIndicator } from 'nestjs-ledger';
${code}`,
  'health-of-a-ledger': (code) => `
import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { getLedgerHealthToken, LedgerHealthIndicator } from 'nestjs-ledger';
import { usage } from './ledgers.js';
${code}`,
  metrics: (code) => `
import { Injectable } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';
import { registerLedgerMetrics } from 'nestjs-ledger/prometheus';
import { Registry } from 'prom-client';
${code}`,
  dashboard: (code) => `
import { Injectable, type CanActivate } from '@nestjs/common';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';
@Injectable()
class AdminGuard implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}
export const module = ${code}`,
  ledgers: (code) => `
import { Injectable, Module } from '@nestjs/common';
import { createLedgerConfig, defineLedger, InjectLedger } from 'nestjs-ledger';
import { LedgerModule, LedgerService } from 'nestjs-ledger';
${code}`,
  partitions: (code) => `
import { defineLedger } from 'nestjs-ledger';
${code}`,
  retention: (code) => `
import { LedgerModule } from 'nestjs-ledger';
import { usage } from './partitions.js';
declare function archive(table: string): Promise<void>;
export const module = ${code}`,
  rollups: (code) => `
import { defineLedger } from 'nestjs-ledger';
export const ledgers = () => {
${code}
};`,
  filters: (code) => `
import type { LedgerService } from 'nestjs-ledger';
import type { usage } from './ledgers.js';
export function read(ledger: LedgerService<typeof usage>, tenantId: string): void {
${code}
}`,
  'own-sink': (code) => `
import type { LedgerSink } from 'nestjs-ledger/sink';
import { usage } from './ledgers.js';
declare const HttpSink: new (options: { definition: typeof usage; url: string }) => LedgerSink;
declare const url: string;
${code}`,
  'gateway-and-writer': (code) => `
import { usage } from './ledgers.js';
declare const url: string;
${code}`,
  kafka: (code) => code,
  indexes: (code) => `
import { defineLedger } from 'nestjs-ledger';
export const ledgers = () => {
${code}
};`,
  'read-rows': (code) => `
import { createRowReader, type RowBatch } from 'nestjs-ledger/sink';
import { usage } from './ledgers.js';
export function read(batch: RowBatch, lines: string[]): void {
${code}
}`,
  'sink-conformance': (code) => `
import type { SinkSubject } from 'nestjs-ledger/sink';
declare function makeSubject(): Promise<SinkSubject>;
${code}`,
  invoice: (code) => `
import { Injectable } from '@nestjs/common';
import { InjectLedger, LedgerService } from 'nestjs-ledger';
import { usage } from './ledgers.js';
${code}`,
  override: (code) => `
import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ledgerConfig, LedgerModule } from 'nestjs-ledger';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
${code}`,
  testing: (code) => `
import { Test } from '@nestjs/testing';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import { expect } from 'vitest';
import { Meter, usage } from './ledgers.js';
export const bodies: (() => Promise<void>)[] = [];
function it(_name: string, body: () => Promise<void>): void {
  bodies.push(body);
}
${code}`,
};

function chatController(code: string): string {
  return `
import { Body, Controller, Post } from '@nestjs/common';
import { RecordUsage } from 'nestjs-ledger';
export interface ChatRequest { userId: number; prompt: string }
export interface Completion {
  userId: number;
  text: string;
  usage: { promptTokens: number; completionTokens: number };
}
declare class Model {
  complete(request: ChatRequest): Promise<Completion>;
}
declare class Entries {
  insert(row: { userId: number; promptTokens: number; completionTokens: number }): Promise<void>;
}
@Controller()
export class Chat {
  constructor(readonly model: Model, readonly entries: Entries) {}
${code}
}
export const decorators = [Post, RecordUsage];`;
}
