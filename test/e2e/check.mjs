// The few words that a test needs: check names what must hold, and counts.

import assert from 'node:assert/strict'

export { assert }

const results = { passed: 0, failed: 0 }

export async function check(name, f) {
  const start = Date.now()
  try {
    await f()
    results.passed++
    console.log(`ok    ${name} (${Date.now() - start} ms)`)
  } catch (e) {
    results.failed++
    console.log(`FAIL  ${name}\n${indent(e.stack ?? String(e))}`)
  }
}

const indent = (text) => text.split('\n').slice(0, 25).map((l) => '      ' + l).join('\n')

// finish prints the last line, which programs read, and sets the exit code.
export function finish() {
  console.log(`${results.passed} passed, ${results.failed} failed`)
  process.exitCode = results.failed > 0 || results.passed === 0 ? 1 : 0
}

// until asks again and again until f returns something true.
export async function until(what, f, most = 15000) {
  const end = Date.now() + most
  let last
  while (Date.now() < end) {
    try {
      const v = await f()
      if (v) return v
    } catch (e) { last = e }
    await new Promise((r) => setTimeout(r, 100))
  }
  throw new Error(`waited ${most} ms until ${what}${last ? `: ${last.message}` : ''}`)
}
