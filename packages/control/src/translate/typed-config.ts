/** Packs partially given messages: the encoder fills in what is left out. */
import type { Any, Init, MessageTable } from '@sluice/xds';

export function typedConfig<T extends object>(table: MessageTable<T>, value: Init<T>): Any {
  return { typeUrl: table.typeUrl, value: value as object };
}
