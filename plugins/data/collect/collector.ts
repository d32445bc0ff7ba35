import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CollectRequest, CollectResponseSchema } from 'lamella/proto/lamella/data/v1/collect_service';
import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { StoreService, WriteVersionRequestSchema } from 'lamella/proto/lamella/data/v1/store_service';
import type { CallContext, Client } from 'lamella/sdk';
import { encodeArrow, sliceBatch } from 'lamella/sdk/arrow';
import { CollectInvalid, TooManyRejectedRows } from './errors.ts';
import type { Rejection, Source } from './source.ts';

type CollectEvent = MessageInitShape<typeof CollectResponseSchema>;
type WritePart = MessageInitShape<typeof WriteVersionRequestSchema>;

/** Broken rows shown to the caller as examples. */
const SAMPLES = 10;

/** Counts of one collection; the writer advances them, the reporter reads them. */
class Progress {
  rowsRead = 0;
  rejected = 0;
  readonly samples: Rejection[] = [];

  reject(rejections: readonly Rejection[], limit: number): void {
    this.rejected += rejections.length;
    this.samples.push(...rejections.slice(0, SAMPLES - this.samples.length));
    if (this.rejected <= limit) return;
    const [first] = this.samples;
    throw new TooManyRejectedRows({
      rejected: String(this.rejected),
      limit: String(limit),
      first:
        first === undefined ? '' : `row ${first.row} ${first.column} ${first.reason}`.replaceAll('  ', ' '),
    });
  }

  toProto(totalRows: number): CollectEvent {
    return {
      rowsRead: BigInt(this.rowsRead),
      rowsRejected: BigInt(this.rejected),
      totalRows: BigInt(totalRows),
      samples: this.samples.map(({ row, column, reason }) => ({ row: BigInt(row), column, reason })),
    };
  }
}

/**
 * Streams a source into a new dataset version and reports how far it is.
 *
 * @throws COLLECT_INVALID, SOURCE_UNREADABLE, TOO_MANY_REJECTED_ROWS; nothing is stored then.
 */
export async function* collect(
  { request, source, store }: { request: CollectRequest; source: Source; store: Client<typeof StoreService> },
  context: CallContext,
): AsyncGenerator<CollectEvent> {
  if (request.dataset === '') throw new CollectInvalid({ problem: 'dataset must have a name' });
  const progress = new Progress();
  const totalRows = request.limit > 0n ? Math.min(Number(request.limit), source.totalRows) : source.totalRows;
  const events = new Relay();
  const written = store.writeVersion(parts({ request, source, progress, events }, context.signal), {
    context,
  });
  const done = written.then(
    () => events.end(),
    () => events.end(),
  );
  for await (const _tick of events.ticks()) yield progress.toProto(totalRows);
  await done;
  const { version } = await failWith(written, events);
  yield { ...progress.toProto(totalRows), ...(version === undefined ? {} : { version }) };
}

/** The reader's own error says more than the store's "request stream failed". */
async function failWith(
  written: Promise<{ version?: DatasetVersion | undefined }>,
  events: Relay,
): Promise<{ version?: DatasetVersion | undefined }> {
  try {
    return await written;
  } catch (error) {
    throw events.failure ?? error;
  }
}

interface Writing {
  readonly request: CollectRequest;
  readonly source: Source;
  readonly progress: Progress;
  readonly events: Relay;
}

async function* parts(
  { request, source, progress, events }: Writing,
  signal: AbortSignal,
): AsyncGenerator<WritePart> {
  const limit = request.limit > 0n ? Number(request.limit) : Number.POSITIVE_INFINITY;
  yield {
    part: {
      case: 'header',
      value: {
        dataset: request.dataset,
        step: { name: `collect.${request.source.case ?? ''}` },
        requestId: request.requestId,
      },
    },
  };
  try {
    for await (const batch of source.batches(signal)) {
      progress.reject(batch.rejections, Number(request.maxRejectedRows));
      const rows = sliceBatch(batch, 0, limit - progress.rowsRead);
      if (rows.rowCount > 0) yield { part: { case: 'arrowIpc', value: encodeArrow(rows) } };
      progress.rowsRead += rows.rowCount;
      events.tick();
      if (progress.rowsRead >= limit) break;
    }
    if (progress.rowsRead === 0) throw new CollectInvalid({ problem: 'the source has no rows' });
  } catch (error) {
    events.failure = error;
    throw error;
  }
}

/** Passes "something happened" from the writer to the reporter; what piles up is told once. */
class Relay {
  failure: unknown;
  #isTicked = false;
  #isEnded = false;
  #wake: () => void = () => undefined;

  tick(): void {
    this.#isTicked = true;
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *ticks(): AsyncGenerator<void> {
    while (!this.#isEnded) {
      if (this.#isTicked) {
        this.#isTicked = false;
        yield;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
