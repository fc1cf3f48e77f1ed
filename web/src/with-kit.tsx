// A part that comes when it is opened, with the kit around it.
import { lazy, type ComponentType } from 'react';

export function withKit<P extends object>(load: () => Promise<{ default: ComponentType<P> }>) {
  return lazy(async () => {
    const [{ Kit }, { default: Part }] = await Promise.all([import('./kit'), load()]);
    return { default: (props: P) => <Kit><Part {...props} /></Kit> };
  });
}
