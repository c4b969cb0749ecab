// Requests to the server. An error carries the server's own words.

export class Problem extends Error {
  constructor(readonly status: number, message: string) { super(message) }
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch {
    throw new Problem(0, 'The server does not answer. It may be restarting; this page tries again by itself.')
  }
  const text = await answer.text()
  if (!answer.ok) {
    let detail = text.trim() || answer.statusText
    try {
      const p = JSON.parse(text)
      detail = [p.detail, ...(p.errors ?? []).map((e: { location?: string; message: string }) => `${e.location ?? ''} ${e.message}`)].filter(Boolean).join('; ')
    } catch { /* plain text is fine as it is */ }
    throw new Problem(answer.status, detail)
  }
  return (text ? JSON.parse(text) : undefined) as T
}

export const get = <T>(path: string) => request<T>('GET', path)
export const post = <T>(path: string, body: unknown) => request<T>('POST', path, body)
export const remove = (path: string) => request<void>('DELETE', path)
