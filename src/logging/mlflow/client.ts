import { messageOf, UserError } from '../../util/errors.js';

const requestMs = 5000;

/** An answer of a server that is no success. */
export class MlflowError extends Error {
  constructor(
    message: string,
    /** MLflow's own code, such as `RESOURCE_DOES_NOT_EXIST`. */
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

/** Where a tracking server is, and how it knows its users: as MLflow's own clients read it. */
export interface MlflowServer {
  url: string;
  headers: Record<string, string>;
}

/**
 * Reads `MLFLOW_TRACKING_URI`, and `MLFLOW_TRACKING_TOKEN` or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
 *
 * @throws UserError `ENVIRONMENT_INVALID`
 */
export function serverOf(environment: NodeJS.ProcessEnv): MlflowServer {
  const {
    MLFLOW_TRACKING_URI: uri = '',
    MLFLOW_TRACKING_TOKEN: token,
    MLFLOW_TRACKING_USERNAME: user,
    MLFLOW_TRACKING_PASSWORD: password = '',
  } = environment;
  if (!/^https?:\/\//.test(uri) || !URL.canParse(uri))
    throw new UserError(
      'ENVIRONMENT_INVALID',
      `log: mlflow needs MLFLOW_TRACKING_URI with the address of a server, such as http://127.0.0.1:5000${uri ? `, not ${uri}` : ''}`,
    );
  const basic = Buffer.from(`${user}:${password}`).toString('base64');
  const authorization = token ? `Bearer ${token}` : user ? `Basic ${basic}` : undefined;
  return { url: uri.replace(/\/+$/, ''), headers: authorization ? { authorization } : {} };
}

/** MLflow's REST interface (https://mlflow.org/docs/latest/rest-api.html), version 2.0. */
export class MlflowClient {
  constructor(private readonly server: MlflowServer) {}

  get<T>(path: string, query: Record<string, string>): Promise<T> {
    return this.ask<T>(`mlflow/${path}?${new URLSearchParams(query).toString()}`, { method: 'GET' });
  }

  post<T>(path: string, body: object): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    return this.ask<T>(`mlflow/${path}`, { method: 'POST', body: JSON.stringify(body), headers });
  }

  /** Gives a file to the server, which keeps it with the artefacts. */
  async put(path: string, content: Uint8Array): Promise<void> {
    const address = path.split('/').map(encodeURIComponent).join('/');
    await this.ask(`mlflow-artifacts/artifacts/${address}`, {
      method: 'PUT',
      body: Uint8Array.from(content),
    });
  }

  private async ask<T>(path: string, request: RequestInit): Promise<T> {
    const { url, headers } = this.server;
    const answer = await fetch(`${url}/api/2.0/${path}`, {
      ...request,
      headers: { ...headers, ...request.headers },
      signal: AbortSignal.timeout(requestMs),
    }).catch((error: unknown) => {
      const { cause = error } = error as { cause?: unknown };
      throw new Error(`${url} cannot be reached: ${messageOf(cause) || String(cause)}`);
    });
    const text = await answer.text();
    if (answer.ok) return (text === '' ? {} : JSON.parse(text)) as T;
    const { error_code: code, message = text.slice(0, 200) } = parse(text);
    throw new MlflowError(`${url} answers ${answer.status} to ${path.replace(/\?.*/, '')}: ${message}`, code);
  }
}

function parse(text: string): { error_code?: string; message?: string } {
  try {
    return JSON.parse(text) as { error_code?: string; message?: string };
  } catch {
    return {};
  }
}
