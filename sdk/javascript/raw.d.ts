/** `import page from "./page.html?raw"` is the text of a file, which gets into the guest. */
declare module "*?raw" {
  const text: string;
  export default text;
}
