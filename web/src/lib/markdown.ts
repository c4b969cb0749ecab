// A small Markdown: what descriptions of roles are made of. It makes values, never
// HTML, so nothing that somebody writes can become a part of the page.

export interface Span { kind: 'text' | 'code' | 'strong' | 'em' | 'link'; text: string; href?: string }
export type Block =
  | { kind: 'heading'; level: number; spans: Span[] }
  | { kind: 'text'; spans: Span[] }
  | { kind: 'code'; text: string }
  | { kind: 'list'; ordered: boolean; items: Span[][] }
  | { kind: 'table'; head: Span[][]; rows: Span[][][] }

const item = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/
const rule = /^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/

export function parse(text: string): Block[] {
  const out: Block[] = []
  const all = text.replaceAll('\r', '').split('\n')
  for (let i = 0; i < all.length;) {
    const line = all[i]!
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line)
    const fence = /^\s*(```+|~~~+)/.exec(line)
    if (line.trim() === '') i++
    else if (heading) {
      out.push({ kind: 'heading', level: heading[1]!.length, spans: spans(heading[2]!) })
      i++
    } else if (fence) {
      const body: string[] = []
      for (i++; i < all.length && !all[i]!.trimStart().startsWith(fence[1]!); i++) body.push(all[i]!)
      i++
      out.push({ kind: 'code', text: body.join('\n') })
    } else if (line.includes('|') && rule.test(all[i + 1] ?? '') && (all[i + 1] ?? '').includes('-')) {
      const head = cells(line), rows: Span[][][] = []
      for (i += 2; i < all.length && all[i]!.includes('|') && all[i]!.trim() !== ''; i++) rows.push(head.map((_, n) => spans(cells(all[i]!)[n] ?? '')))
      out.push({ kind: 'table', head: head.map(spans), rows })
    } else if (item.test(line)) {
      const ordered = item.exec(line)![1] !== undefined, items: string[] = []
      for (; i < all.length && all[i]!.trim() !== ''; i++) {
        const m = item.exec(all[i]!)
        if (m) items.push(m[2]!)
        else if (/^\s/.test(all[i]!)) items[items.length - 1] += ' ' + all[i]!.trim()
        else break
      }
      out.push({ kind: 'list', ordered, items: items.map(spans) })
    } else {
      const body: string[] = [line.trim()]
      for (i++; i < all.length && all[i]!.trim() !== '' && !/^(#{1,6}\s|\s*(```|~~~))/.test(all[i]!) && !item.test(all[i]!); i++) body.push(all[i]!.trim())
      out.push({ kind: 'text', spans: spans(body.join(' ')) })
    }
  }
  return out
}

// cells are those of a row; \| is no border.
function cells(row: string): string[] {
  const inner = row.trim().replace(/^\|/, '').replace(/(?<!\\)\|$/, '')
  return inner.split(/(?<!\\)\|/).map((c) => c.trim().replaceAll('\\|', '|'))
}

// The bounds keep a long line of beginnings without ends quick.
const inline = /(`{1,3})(.{1,999}?)\1|\*\*(.{1,999}?)\*\*|\[([^\]]{0,300})\]\(([^\s)]{1,999})\)|\*([^\s*][^*]{0,999})\*/g

// spans are the parts of a line. Links go to pages of Steer and of the web only.
export function spans(text: string): Span[] {
  const out: Span[] = []
  let end = 0
  for (const m of text.matchAll(inline)) {
    if (m.index > end) out.push({ kind: 'text', text: text.slice(end, m.index) })
    end = m.index + m[0].length
    if (m[2] !== undefined) out.push({ kind: 'code', text: m[2].trim() })
    else if (m[3] !== undefined) out.push({ kind: 'strong', text: m[3] })
    else if (m[5] !== undefined) out.push(/^(https?:\/\/|\/(?!\/))/i.test(m[5]) ? { kind: 'link', text: m[4]! || m[5], href: m[5] } : { kind: 'text', text: m[0] })
    else out.push({ kind: 'em', text: m[6]! })
  }
  if (end < text.length) out.push({ kind: 'text', text: text.slice(end) })
  return out
}
