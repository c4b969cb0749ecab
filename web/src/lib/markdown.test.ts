import { describe, expect, it } from 'vitest'
import { parse, spans, type Span } from './markdown'

const plain = (list: Span[]) => list.map((s) => s.text).join('')

describe('Markdown', () => {
  it('has headings, texts, lists, tables and code', () => {
    const blocks = parse('## web\n\nServes\nthe shop.\n\n| name | type |\n|---|---|\n| `a` | x \\| y |\n| b |\n\n1. one\n   more\n2. two\n\n- *a*\n* b\n\n```sh\n# not a heading\n```\n')
    expect(blocks.map((b) => b.kind)).toEqual(['heading', 'text', 'table', 'list', 'list', 'code'])
    expect(blocks[1]).toEqual({ kind: 'text', spans: [{ kind: 'text', text: 'Serves the shop.' }] })
    const table = blocks[2]
    expect(table?.kind === 'table' && table.rows.map((r) => r.map(plain))).toEqual([['a', 'x | y'], ['b', '']])
    const list = blocks[3]
    expect(list?.kind === 'list' && [list.ordered, list.items.map(plain)]).toEqual([true, ['one more', 'two']])
    expect(blocks[5]).toEqual({ kind: 'code', text: '# not a heading' })
  })
  it('has code, strong words, emphasis and links in a line', () => {
    expect(spans('a `b*c*` **d** *e* [f](https://example.com/)')).toEqual([
      { kind: 'text', text: 'a ' }, { kind: 'code', text: 'b*c*' }, { kind: 'text', text: ' ' }, { kind: 'strong', text: 'd' }, { kind: 'text', text: ' ' },
      { kind: 'em', text: 'e' }, { kind: 'text', text: ' ' }, { kind: 'link', text: 'f', href: 'https://example.com/' },
    ])
  })
  it.each(['[x](javascript:alert(1))', '[x](JavaScript:y)', '[x](data:text/html,y)', '[x](//elsewhere.example)', '[x](vbscript:y)'])('makes no link of %s', (text) => {
    expect(spans(text).some((s) => s.kind === 'link')).toBe(false)
  })
  it('takes HTML for text', () => expect(parse('<img src=x onerror=y>')).toEqual([{ kind: 'text', spans: [{ kind: 'text', text: '<img src=x onerror=y>' }] }]))
  it('ends, whatever it is given', () => {
    for (const text of ['```', '|', '| a |\n|---|', '-', '- ', '#', '1.', '`'.repeat(50), '*'.repeat(2000), '[](', ' - x\ny\n- z', '| a\n- b']) expect(Array.isArray(parse(text))).toBe(true)
  })
  it('is quick with what is made to be slow', () => {
    const start = performance.now()
    for (const text of ['`'.repeat(20000) + 'x', '*a '.repeat(10000), '['.repeat(20000), '|-'.repeat(10000) + 'x\n' + '|-'.repeat(10000) + 'x']) parse(text)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})
