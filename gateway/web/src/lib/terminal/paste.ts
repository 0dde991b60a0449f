// What is to be pasted, looked at before it is: a terminal runs every line at once, and text from a web page may
// hold more than it shows.

/** Text without what a program could mistake for keys: line ends and tabs are the only control characters left. */
export function cleanPaste(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/\r\n?/g, '\n').replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '');
}

/** How many lines of text there are; 1 for text without a line end. */
export function lineCount(text: string): number {
  return text.replace(/\n$/, '').split('\n').length;
}

/** Whether pasting would press Enter, where the program does not ask for pastes to be marked. */
export function pressesEnter(text: string): boolean {
  return text.includes('\n');
}
