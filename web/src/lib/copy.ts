// copy puts a text on the clipboard. Browsers keep their API for it from pages
// over plain HTTP; there the old way is left.
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch { /* below */ }
  const box = document.createElement('textarea')
  box.value = text
  box.style.cssText = 'position: fixed; opacity: 0'
  const before = document.activeElement as HTMLElement | null
  ;(before?.closest('dialog') ?? document.body).append(box) // behind a dialog nothing can be chosen
  box.select()
  const done = document.execCommand('copy')
  box.remove()
  before?.focus()
  return done
}
