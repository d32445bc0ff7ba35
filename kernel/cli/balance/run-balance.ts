import { readFile } from 'node:fs/promises';
import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import Table from 'cli-table3';
import {
  BalanceService,
  CanaryState,
  type Endpoint,
  type Traffic,
  TrafficSchema,
} from '../../../proto/gen/lamella/serving/v1/balance_service_pb.ts';
import type { Client } from '../../../sdk/index.ts';
import { findKernel, withService } from '../connect.ts';
import { nameOf, PLAIN, tableText } from '../plugin-table.ts';
import type { Terminal } from '../terminal.ts';

/** What was asked for. */
export type BalanceAction =
  | { readonly kind: 'list' }
  | { readonly kind: 'set'; readonly file: string }
  | { readonly kind: 'promote'; readonly model: string; readonly isComplete: boolean }
  | { readonly kind: 'rollback'; readonly model: string; readonly reason: string };

type BalanceClient = Client<typeof BalanceService>;

/** Does it and shows the traffic that it is about. */
export async function runBalance(
  command: Command,
  action: BalanceAction & { readonly isJson: boolean },
  terminal: Terminal,
): Promise<void> {
  const kernel = await findKernel(command, terminal);
  await withService(kernel, BalanceService, async (balance) => {
    const traffic = await trafficOf(balance, action);
    if (action.isJson) {
      terminal.out(
        JSON.stringify(
          traffic.map((each) => toJson(TrafficSchema, each)),
          undefined,
          2,
        ),
      );
      return;
    }
    const { endpoints } = await balance.listEndpoints({ pageSize: 1_000 });
    terminal.out(trafficTable(traffic, endpoints));
  });
}

async function trafficOf(balance: BalanceClient, action: BalanceAction): Promise<Traffic[]> {
  switch (action.kind) {
    case 'list':
      return listAll(balance);
    case 'set':
      return only(await balance.setTraffic({ traffic: await readTrafficFile(action.file) }));
    case 'promote':
      return only(await balance.promoteCanary({ model: action.model, complete: action.isComplete }));
    case 'rollback':
      return only(await balance.rollbackCanary({ model: action.model, reason: action.reason }));
  }
}

function only({ traffic }: { readonly traffic?: Traffic | undefined }): Traffic[] {
  return traffic === undefined ? [] : [traffic];
}

async function listAll(balance: BalanceClient): Promise<Traffic[]> {
  const all: Traffic[] = [];
  let pageToken = '';
  do {
    const page = await balance.listTraffic({ pageSize: 1_000, pageToken });
    all.push(...page.traffic);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

async function readTrafficFile(file: string): Promise<Traffic> {
  const { parse } = await import('yaml');
  try {
    return fromJson(TrafficSchema, parse(await readFile(file, 'utf8')) as JsonValue);
  } catch (error) {
    throw new Error(`${file} is no Traffic: ${(error as Error).message}`, { cause: error });
  }
}

function trafficTable(traffic: readonly Traffic[], endpoints: readonly Endpoint[]): string {
  if (traffic.length === 0) return "No model's requests are balanced; 'lamella balance set FILE' sets some.";
  const table = new Table({
    head: ['model', 'split', 'weight', 'endpoints', 'canary'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  for (const { model, splits, canaryStatus, canary } of traffic) {
    for (const { label, weight } of splits) {
      const own = endpoints.filter((each) => each.model === model && each.split === label);
      const open = own.filter(({ available }) => available).length;
      const isCandidate = canaryStatus !== undefined && label === (canary?.candidate || 'canary');
      const state = isCandidate
        ? `${canaryStatus.percent} %, ${nameOf(CanaryState, canaryStatus.state, 'CANARY_STATE_')}`
        : '';
      table.push([model, label, weight, `${open} of ${own.length}`, state]);
    }
  }
  return tableText(table);
}
