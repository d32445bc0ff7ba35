import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import {
  type RetrainResponse,
  type RetrainResult,
  RetrainStage,
  RetrainState,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import { isDeclaredError, type Logger } from 'lamella/sdk';

/**
 * A training as server-sent events: `stage` for each change, then `end` or `error`.
 *
 * @remarks The first change is awaited before the answer begins, so that a training that cannot start has an HTTP status
 * of its own. Source of the format: WHATWG HTML, section 9.2.
 */
export async function retrainEvents(changes: AsyncIterable<RetrainResponse>, log: Logger): Promise<Response> {
  const iterator = changes[Symbol.asyncIterator]();
  let next: IteratorResult<RetrainResponse> | undefined = await iterator.next();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const send = (event: string, data: unknown): void =>
        controller.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
      try {
        const { done, value } = next ?? (await iterator.next());
        next = undefined;
        if (done !== true) return send('stage', stageView(value));
        send('end', {});
      } catch (error) {
        send('error', { error: failureText(error, log) });
      }
      controller.close();
    },
    async cancel() {
      await iterator.return?.();
    },
  });
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    },
  });
}

function failureText(error: unknown, log: Logger): string {
  if (isDeclaredError(error)) return error.message;
  log.error('A training failed.', { error });
  return "The training failed; the kernel's log has the cause.";
}

function stageView(change: RetrainResponse): object {
  const { stage, state, done, total, unit, message, duration, result, metrics } = change;
  return {
    stage: nameOf(RetrainStage, stage),
    state: nameOf(RetrainState, state),
    done: Number(done),
    total: Number(total),
    unit,
    message,
    metrics,
    durationMs: milliseconds(duration),
    ...(result !== undefined && { result: resultView(result) }),
  };
}

function resultView(result: RetrainResult): object {
  const { version, accuracy, incumbentVersion, incumbentAccuracy, promoted, reason, samplesPerSecond } =
    result;
  return {
    version,
    accuracy,
    incumbentVersion,
    incumbentAccuracy,
    promoted,
    reason,
    samplesPerSecond,
    rows: Number(result.rows),
    feedbackRows: Number(result.feedbackRows),
    holdoutRows: Number(result.holdoutRows),
    sizeBytes: Number(result.sizeBytes),
    durationMs: milliseconds(result.duration),
  };
}

/** The name of an enum's value, for example `TRAIN`; a value that this version does not know has none. */
function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? 'UNSPECIFIED';
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : durationMs(duration);
}
