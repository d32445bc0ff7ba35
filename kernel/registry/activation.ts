import { Activation, type Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { coversTopic, isTopicName, isTopicPattern } from '../topics/topic.ts';

/** Tells whether a plugin is started only when somebody needs it. */
export function isLazy({ activation }: Manifest): boolean {
  return activation === Activation.ON_CALL || activation === Activation.ON_EVENT;
}

/** What is wrong with how a manifest says when the plugin is started. */
export function activationProblems(manifest: Manifest): string[] {
  const { activation, activationTopics, provides, protos } = manifest;
  const isOnEvent = activation === Activation.ON_EVENT;
  const problems: string[] = [];
  if (isLazy(manifest) && provides.length > 0 && protos.length === 0) {
    problems.push(
      `activation ${isOnEvent ? 'ON_EVENT' : 'ON_CALL'} needs the .proto files of its services under protos: they can be called before its code runs.`,
    );
  }
  if (isOnEvent !== activationTopics.length > 0) {
    problems.push('activation ON_EVENT and activationTopics go together; give both or neither.');
  }
  return [...problems, ...activationTopics.flatMap((topic) => topicProblems(manifest, topic))];
}

function topicProblems({ capabilities, topics }: Manifest, topic: string): string[] {
  const shown = topic.slice(0, 200);
  if (!isTopicName(topic) && !isTopicPattern(topic)) {
    return [`activationTopics: '${shown}' must be a topic, like 'feedback.recorded' or 'feedback.*'.`];
  }
  const isCovered =
    topics.some(({ name }) => name === topic) ||
    capabilities?.topics.some((pattern) => coversTopic(pattern, topic)) === true;
  return isCovered
    ? []
    : [`activationTopics: '${shown}' must be among capabilities.topics or its own topics.`];
}
