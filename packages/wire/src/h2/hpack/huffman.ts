/**
 * Huffman coding of string literals (RFC 7541 §5.2).
 *
 * Decoding walks the code tree four bits at a time through a table made at load: no code is shorter than
 * five bits, so a step yields at most one octet. Encoding gathers bits in one integer.
 */
import { CODE_BITS, CODES, EOS } from './huffman-codes.ts';

/** Of a step: the octet it yields, that it yields one, that padding may end here, that there is no such code. */
const SYMBOL_MASK = 0xff;
const YIELDS = 0x100;
const MAY_END = 0x200;
const FAILS = 0x400;
const STATE_SHIFT = 11;
/** A symbol has 30 bits at most, an octet yields at most 8/5 octets. */
const SHORTEST_CODE_BITS = 5;

const steps = buildSteps();

/** The most octets that `byteCount` octets of code can stand for. */
export function huffmanDecodedBound(byteCount: number): number {
  return Math.floor((byteCount * 8) / SHORTEST_CODE_BITS);
}

/** Decodes [start, end) to `out` at `at`, where there is room for the bound. The offset after it, -1 if it is no code. */
export function decodeHuffman(
  buf: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let step = MAY_END;
  let to = at;
  for (let from = start; from < end; from++) {
    const octet = buf[from]!;
    step = steps[((step >>> STATE_SHIFT) << 4) | (octet >>> 4)]!;
    if ((step & YIELDS) !== 0) out[to++] = step & SYMBOL_MASK;
    if ((step & FAILS) !== 0) return -1;
    step = steps[((step >>> STATE_SHIFT) << 4) | (octet & 0xf)]!;
    if ((step & YIELDS) !== 0) out[to++] = step & SYMBOL_MASK;
    if ((step & FAILS) !== 0) return -1;
  }
  return (step & MAY_END) !== 0 ? to : -1;
}

/** Octets that the code of [start, end) takes. */
export function huffmanLength(buf: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let at = start; at < end; at++) bits += CODE_BITS[buf[at]!]!;
  return (bits + 7) >>> 3;
}

/** Writes the code of [start, end) at `at`; returns the offset after its last, padded octet. */
export function encodeHuffman(
  buf: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let to = at;
  let pending = 0;
  let pendingBits = 0;
  for (let from = start; from < end; from++) {
    const symbol = buf[from]!;
    let bits = CODE_BITS[symbol]!;
    let code = CODES[symbol]!;
    if (bits > 24) {
      // With up to seven bits waiting, a long code would not fit into 32: its high part goes first.
      pending = (pending << (bits - 24)) | (code >>> 24);
      pendingBits += bits - 24;
      while (pendingBits >= 8) out[to++] = (pending >>> (pendingBits -= 8)) & 0xff;
      code &= 0xffffff;
      bits = 24;
    }
    pending = (pending << bits) | code;
    pendingBits += bits;
    while (pendingBits >= 8) out[to++] = (pending >>> (pendingBits -= 8)) & 0xff;
  }
  if (pendingBits > 0) out[to++] = ((pending << (8 - pendingBits)) | (0xff >>> pendingBits)) & 0xff;
  return to;
}

interface Node {
  readonly branches: [Node | number | null, Node | number | null];
  readonly depth: number;
  /** Only ones lead here: what may be padding, if shorter than eight bits. */
  readonly isOnes: boolean;
  state: number;
}

/** Steps by (state, four bits): a state is an inner node of the tree, 0 its root. */
function buildSteps(): Int32Array {
  const nodes: Node[] = [];
  const root = addNode(nodes, 0, true);
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = root;
    for (let bit = CODE_BITS[symbol]! - 1; bit >= 0; bit--) {
      const side = (CODES[symbol]! >>> bit) & 1;
      if (bit === 0) node.branches[side] = symbol;
      else {
        const next = node.branches[side] ?? addNode(nodes, node.depth + 1, node.isOnes && side === 1);
        node.branches[side] = next;
        node = next as Node;
      }
    }
  }
  const table = new Int32Array(nodes.length * 16);
  for (const node of nodes) {
    for (let nibble = 0; nibble < 16; nibble++) table[(node.state << 4) | nibble] = walk(root, node, nibble);
  }
  return table;
}

function addNode(nodes: Node[], depth: number, isOnes: boolean): Node {
  const node: Node = { branches: [null, null], depth, isOnes, state: nodes.length };
  nodes.push(node);
  return node;
}

function walk(root: Node, from: Node, nibble: number): number {
  let node = from;
  let flags = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = node.branches[(nibble >>> bit) & 1];
    if (next === null || next === undefined || next === EOS) return FAILS;
    if (typeof next === 'number') {
      flags = YIELDS | next;
      node = root;
    } else {
      node = next;
    }
  }
  if (node.isOnes && node.depth < 8) flags |= MAY_END;
  return (node.state << STATE_SHIFT) | flags;
}
