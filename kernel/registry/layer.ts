/** The layers from the bottom; a plugin may call its own and lower ones. */
const LAYERS: readonly string[] = ['kernel', 'data', 'model', 'serving', 'app'];

/** Height of a plugin's layer by its id; plugins outside the four layers stand above all of them. */
export function layerOfPlugin(pluginId: string): number {
  const height = LAYERS.indexOf(pluginId.split('.')[0] ?? '');
  return height === -1 ? LAYERS.length : height;
}

/**
 * Height of the layer that a service belongs to by its package, `undefined` when the package says nothing.
 *
 * @remarks An extension point stays in its layer whoever implements it, so that third parties can.
 */
export function layerOfService(service: string): number | undefined {
  const [root, layer = ''] = service.split('.');
  const height = root === 'lamella' ? LAYERS.indexOf(layer) : -1;
  return height === -1 ? undefined : height;
}
