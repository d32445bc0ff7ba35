import { defineError, type ErrorDefinition, type ErrorType } from '../sdk/index.ts';

/** Domain of the errors that the kernel itself declares; that of a plugin's ends with it. */
export const KERNEL_DOMAIN = 'lamella';

/** Domain of the errors of a plugin. */
export function domainOf(pluginId: string): string {
  return `${pluginId}.${KERNEL_DOMAIN}`;
}

/** Declares an error of the kernel, which stays the kernel's also when it passes through a plugin. */
export function defineKernelError<const Field extends string = never>(
  definition: Omit<ErrorDefinition<Field>, 'domain'>,
): ErrorType<Field> {
  return defineError({ ...definition, domain: KERNEL_DOMAIN });
}
