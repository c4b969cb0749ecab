// Requests to the server. An error carries the server's own words.

export class Problem extends Error {
  constructor(readonly status: number, message: string) { super(message) }
}

// refused is told when the server no longer knows who asks.
export const refused: { call: () => void } = { call: () => {} }

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch {
    throw new Problem(0, 'The server does not answer. It may be restarting.')
  }
  const text = await answer.text()
  if (!answer.ok) {
    let detail = text.trim() || answer.statusText
    try {
      const p = JSON.parse(text)
      detail = [p.detail, ...(p.errors ?? []).map((e: { location?: string; message: string }) => `${e.location ?? ''} ${e.message}`)].filter(Boolean).join('; ')
    } catch { /* plain text is fine as it is */ }
    if (answer.status === 401 && path !== '/api/v1/session') refused.call()
    throw new Problem(answer.status, detail)
  }
  return (text ? JSON.parse(text) : undefined) as T
}

export const get = <T>(path: string) => request<T>('GET', path)
export const post = <T>(path: string, body: unknown) => request<T>('POST', path, body)
export const remove = (path: string) => request<void>('DELETE', path)
