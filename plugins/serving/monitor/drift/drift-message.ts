import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ModelDriftSchema } from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { DriftWatch } from './drift-watch.ts';
import type { WatchedModel } from './watched-model.ts';

/** A watched model as a message. */
export function driftToProto(
  watch: DriftWatch,
  watched: WatchedModel,
): MessageInitShape<typeof ModelDriftSchema> {
  const { model, modelVersion, reference, rows, problem, evaluatedMs } = watched;
  const features = watched.features
    .toSorted((one, other) => other.stabilityIndex - one.stabilityIndex)
    .map((feature) => {
      const startMs = watch.startMs(watched, feature);
      return {
        feature: feature.feature,
        stabilityIndex: feature.stabilityIndex,
        distance: feature.distance,
        drifted: feature.isDrifted,
        ...(startMs === undefined ? {} : { driftStartTime: timestampFromMs(startMs) }),
      };
    });
  return {
    model,
    modelVersion,
    referenceVersion: reference,
    rowCount: BigInt(rows),
    problem,
    ...(evaluatedMs === 0 ? {} : { evaluateTime: timestampFromMs(evaluatedMs) }),
    features,
  };
}
