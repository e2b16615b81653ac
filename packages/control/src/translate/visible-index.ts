/**
 * What clients see, made once for all that see alike: their namespace, their Sidecar and their mode decide, not what
 * their proxies can do. Instances ask for it at every renewal, long after the last change or right behind one.
 */
import { formatKey } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { nothingVisible, visibleServices } from './visible-services.ts';
import type { VisibilityFacts, VisibleServices } from './visible-services.ts';

interface Known {
  readonly facts: VisibilityFacts;
  readonly visible: VisibleServices;
  readonly epoch: number;
  isUsed: boolean;
}

export class VisibleIndex {
  readonly #model: MeshModel;
  readonly #known = new Map<string, Known>();

  constructor(model: MeshModel) {
    this.#model = model;
  }

  /** `epoch`: of the last change of a service or a Sidecar. The same object as long as nothing in it changed. */
  of(facts: VisibilityFacts, epoch: number): VisibleServices {
    const { namespace, mode, sidecar } = facts;
    const key = JSON.stringify([mode === 'NONE', namespace, sidecar ? formatKey(sidecar.key) : '']);
    const known = this.#known.get(key);
    if (known && known.epoch >= epoch && known.facts.sidecar === sidecar) {
      known.isUsed = true;
      return known.visible;
    }
    const visible = visibleServices(this.#model, facts, known?.visible ?? nothingVisible);
    this.#known.set(key, { facts: { namespace, mode, sidecar }, visible, epoch, isUsed: true });
    return visible;
  }

  /** Drops what nobody asked for since the sweep before. */
  sweep(): void {
    for (const [key, known] of this.#known) {
      if (!known.isUsed) this.#known.delete(key);
      known.isUsed = false;
    }
  }
}
