import type { Topic } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { KERNEL_ID } from '../builtin.ts';
import { TooManyTopics, TopicConflict } from './errors.ts';
import { type FindMessage, payloadCheck } from './payload.ts';
import {
  declarationOf,
  plainDeclaration,
  requireTopicName,
  type TopicDeclaration,
  type TopicSettings,
} from './topic.ts';
import { TopicState } from './topic-state.ts';

/** Topics that are kept count of; beyond, a publisher that makes up names would fill the memory. */
const MAX_TOPICS = 10_000;

/** Changes of state of every plugin. */
export const PLUGINS_TOPIC = 'kernel.plugins';

const KERNEL_TOPICS: ReadonlyMap<string, string> = new Map([
  [PLUGINS_TOPIC, 'Changes of state of every plugin: id, version, state, previous, reason.'],
  ['kernel.audit', 'What was refused to a caller or a plugin, and changes of who may do what.'],
]);

/** Owner of what only the operator has declared. */
const CONFIG_OWNER = 'config.json';

/** All topics of a kernel, and who declared what of them. */
export class TopicTable {
  readonly #topics: Map<string, TopicState> = new Map();
  #settings: Readonly<Record<string, TopicSettings>> = {};
  #findMessage: FindMessage = () => undefined;

  constructor() {
    for (const [name, description] of KERNEL_TOPICS) {
      this.#declare(plainDeclaration(name, {}, description), KERNEL_ID);
    }
  }

  /** @param settings - What the operator says of topics, by name. */
  open(settings: Readonly<Record<string, TopicSettings>>, findMessage: FindMessage): void {
    this.#settings = settings;
    this.#findMessage = findMessage;
    for (const [name, setting] of Object.entries(settings)) {
      const known = KERNEL_TOPICS.get(name);
      this.#declare(plainDeclaration(name, setting, known), known === undefined ? CONFIG_OWNER : KERNEL_ID);
    }
  }

  get all(): Iterable<TopicState> {
    return this.#topics.values();
  }

  find(name: string): TopicState | undefined {
    return this.#topics.get(name);
  }

  /** The topic, made when there is none. @throws TOPIC_INVALID, TOO_MANY_TOPICS */
  get(name: string): TopicState {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    requireTopicName(name);
    if (this.#topics.size >= MAX_TOPICS) throw new TooManyTopics({ limit: String(MAX_TOPICS) });
    const topic = new TopicState(name);
    this.#topics.set(name, topic);
    return topic;
  }

  /**
   * Takes the topics that a plugin declares; those of its version before are replaced.
   *
   * @returns a function that puts back what was there before, for a version that did not start.
   * @throws TOPIC_CONFLICT
   */
  declare(pluginId: string, topics: readonly Topic[]): () => void {
    for (const { name } of topics) {
      const owner = this.#topics.get(name)?.owner ?? '';
      if (owner !== '' && owner !== CONFIG_OWNER && owner !== pluginId) {
        throw new TopicConflict({ topic: name, owner });
      }
    }
    const before = this.#declarations(pluginId);
    this.withdraw(pluginId);
    for (const topic of topics) this.#declare(declarationOf(topic, this.#settings[topic.name]), pluginId);
    return () => {
      this.withdraw(pluginId);
      for (const declaration of before) this.#declare(declaration, pluginId);
    };
  }

  /** The plugin is gone; its topics stay as the operator's settings have them. */
  withdraw(pluginId: string): void {
    for (const { name } of this.#declarations(pluginId)) {
      const setting = this.#settings[name];
      const topic = this.get(name);
      topic.declaration = setting === undefined ? undefined : plainDeclaration(name, setting);
      topic.owner = setting === undefined ? '' : CONFIG_OWNER;
      topic.check = () => undefined;
    }
  }

  #declarations(owner: string): TopicDeclaration[] {
    return [...this.#topics.values()].flatMap((topic) =>
      topic.owner === owner && topic.declaration !== undefined ? [topic.declaration] : [],
    );
  }

  #declare(declaration: TopicDeclaration, owner: string): void {
    const topic = this.get(declaration.name);
    topic.declaration = declaration;
    topic.owner = owner;
    topic.check = payloadCheck(declaration, (name) => this.#findMessage(name));
  }
}
