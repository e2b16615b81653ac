/** One kept connection that asks the same again and again; answers are small enough to come in one piece. */
export class Probe {
  readonly #socket: Bun.Socket;
  readonly #request: Buffer;
  #onAnswer: ((text: string) => void) | null = null;

  private constructor(socket: Bun.Socket, request: string) {
    this.#socket = socket;
    this.#request = Buffer.from(request);
  }

  static async open(port: number, request: string): Promise<Probe> {
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: { data: (_, data) => probe.#onAnswer?.(data.toString('latin1')) },
    });
    const probe = new Probe(socket, request);
    return probe;
  }

  ask(): Promise<string> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      this.#socket.write(this.#request);
    });
  }

  close(): void {
    this.#socket.end();
  }
}
