/**
 * What one YAML text may cost. A file or request body comes from anybody who may write into a folder or reach the
 * API; deep nesting, aliases that multiply and endless lists must end in a problem and not in an outage.
 */

export interface YamlLimits {
  /** Length of the text in UTF-16 units. */
  readonly maxLength: number;
  /** Levels of nesting. */
  readonly maxDepth: number;
  /** Values of one document after aliases are expanded. */
  readonly maxValues: number;
  /** Documents in one text, items of lists included. */
  readonly maxDocuments: number;
}

/** Generous for hand-written and generated files: Kubernetes itself stops at 1.5 MB an object. */
export const defaultYamlLimits: YamlLimits = {
  maxLength: 4 * 1024 * 1024,
  maxDepth: 64,
  maxValues: 200_000,
  maxDocuments: 10_000,
};
