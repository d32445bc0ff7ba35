import type { CallRun } from './call.ts';
import { enumText, messageText, methodDescription, methodText, serviceText } from './proto-text.ts';
import { NameNotServed, type ReflectedServer } from '../../link/reflected-server.ts';

/** `--list` and `--describe`. @throws NameNotServed */
export async function describe({ name, options, terminal }: CallRun, server: ReflectedServer): Promise<void> {
  if (options.describe === true) {
    const text = await descriptionOf(server, name);
    terminal.out(options.json === true ? JSON.stringify({ name, text }) : text);
    return;
  }
  const names = name === undefined ? await server.services() : await methodsOf(server, name);
  terminal.out(options.json === true ? JSON.stringify(names) : names.join('\n'));
}

async function methodsOf(server: ReflectedServer, name: string): Promise<string[]> {
  const serviceName = await server.serviceName(name);
  const service = (await server.typesOf(serviceName)).getService(serviceName);
  return (service?.methods ?? []).map((method) => `${serviceName}/${method.name}`);
}

/** Everything that the services of the server declare has a text: services, methods, messages, enums. */
async function descriptionOf(server: ReflectedServer, name: string | undefined): Promise<string> {
  if (name === undefined) {
    const services = await server.services();
    const texts: string[] = [];
    for (const service of services) texts.push(await serviceDescription(server, service));
    return texts.join('\n\n');
  }
  const [service = '', method] = name.replace(/^\//, '').split('/');
  if (method !== undefined) {
    return methodDescription((await server.method(await server.serviceName(service), method)).method);
  }
  return typeDescription(server, service);
}

async function serviceDescription(server: ReflectedServer, name: string): Promise<string> {
  const service = (await server.typesOf(name)).getService(name);
  if (service === undefined) throw new NameNotServed(`The server does not describe '${name}'.`);
  return serviceText(service);
}

async function typeDescription(server: ReflectedServer, name: string): Promise<string> {
  const isServed = await server.serviceName(name).catch((error: unknown) => {
    if (error instanceof NameNotServed) return undefined;
    throw error;
  });
  if (isServed !== undefined) return serviceDescription(server, isServed);
  const types = await server.typesOf(name);
  const message = types.getMessage(name);
  if (message !== undefined) return messageText(message);
  const enumeration = types.getEnum(name);
  if (enumeration !== undefined) return enumText(enumeration);
  const owner = types.getService(name.slice(0, name.lastIndexOf('.')));
  const method = owner?.methods.find((each) => each.name === name.slice(name.lastIndexOf('.') + 1));
  if (method !== undefined) return methodText(method);
  throw new NameNotServed(`'${name}' is neither a service, a method, a message nor an enum.`);
}
