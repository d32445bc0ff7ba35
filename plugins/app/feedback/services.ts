import { CleanService } from 'lamella/proto/lamella/data/v1/clean_service';
import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { PreprocessService } from 'lamella/proto/lamella/data/v1/preprocess_service';
import { QualityService } from 'lamella/proto/lamella/data/v1/quality_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { EvaluateService } from 'lamella/proto/lamella/model/v1/evaluate_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { TrainService } from 'lamella/proto/lamella/model/v1/train_service';
import { DeployService } from 'lamella/proto/lamella/serving/v1/deploy_service';
import type { Client, Host } from 'lamella/sdk';

/** Every service the feedback loop is made of. */
export interface Services {
  readonly store: Client<typeof StoreService>;
  readonly engine: Client<typeof EngineService>;
  readonly clean: Client<typeof CleanService>;
  readonly preprocess: Client<typeof PreprocessService>;
  readonly quality: Client<typeof QualityService>;
  readonly train: Client<typeof TrainService>;
  readonly evaluate: Client<typeof EvaluateService>;
  readonly registry: Client<typeof RegistryService>;
  readonly deploy: Client<typeof DeployService>;
}

/** Clients of all of them. */
export function connectServices(host: Pick<Host, 'call'>): Services {
  return {
    store: host.call(StoreService),
    engine: host.call(EngineService),
    clean: host.call(CleanService),
    preprocess: host.call(PreprocessService),
    quality: host.call(QualityService),
    train: host.call(TrainService),
    evaluate: host.call(EvaluateService),
    registry: host.call(RegistryService),
    deploy: host.call(DeployService),
  };
}
