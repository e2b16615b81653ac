/** Reads a status without trust in its shape: it may come from elsewhere, or from another version. */

export type StatusFields = Readonly<Record<string, unknown>>;

/** A condition as Kubernetes has it; what is missing is empty. */
export interface StatusCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export function statusFields(value: unknown): StatusFields {
  return typeof value === 'object' && value !== null ? (value as StatusFields) : {};
}

export function statusList(value: unknown): readonly StatusFields[] {
  return Array.isArray(value) ? value.map(statusFields) : [];
}

export function statusText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Of a list of them. */
export function statusConditions(value: unknown): readonly StatusCondition[] {
  return statusList(value).map((fields) => ({
    type: statusText(fields['type']),
    status: statusText(fields['status']),
    reason: statusText(fields['reason']),
    message: statusText(fields['message']),
  }));
}
