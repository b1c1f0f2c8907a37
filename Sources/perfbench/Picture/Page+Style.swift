extension Page {
    /// How the page looks: in one column on a phone, in two on a desk, on light paper and on dark.
    static let styleSheet = """
        :root {
          --paper: \(Ink.paper.light); --text: #1f2328; --dim: #57606a; --line: \(Ink.grid.light);
          --link: \(Ink.blue.light); --warning: #fff4e5; --edge: \(Ink.vermilion.light);
        }
        \(Ink.styleSheet)@media screen and (prefers-color-scheme: dark) {
          :root {
            --paper: \(Ink.paper.dark); --text: \(Ink.text.dark); --dim: #9aa4b0;
            --line: \(Ink.grid.dark); --link: \(Ink.blue.dark); --warning: #2d1f10;
            --edge: \(Ink.vermilion.dark);
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0 auto; max-width: 70rem; padding: 1rem; background: var(--paper);
          color: var(--text); font: 1rem/1.5 system-ui, sans-serif;
        }
        h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; }
        h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid var(--line); }
        a { color: var(--link); }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; margin: 1rem 0; }
        dt { color: var(--dim); }
        dd { margin: 0; overflow-wrap: anywhere; }
        .warning {
          background: var(--warning); border-left: 4px solid var(--edge); padding: 0.25rem 1rem;
        }
        .figures {
          display: grid; gap: 2rem;
          grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr));
        }
        figure { margin: 0; min-width: 0; break-inside: avoid; }
        figure svg { display: block; width: 100%; max-width: 38rem; height: auto; }
        figcaption, p { color: var(--dim); font-size: 0.9rem; margin: 0.5rem 0; }
        .warning p { color: var(--text); font-size: 1rem; }
        .table { overflow-x: auto; }
        table { border-collapse: collapse; font-size: 0.8rem; font-variant-numeric: tabular-nums; }
        th, td {
          padding: 0.15rem 0.35rem; text-align: right; white-space: nowrap;
          border-bottom: 1px solid var(--line);
        }
        th { color: var(--dim); font-weight: 600; }
        .text { text-align: left; }
        @media print {
          body { max-width: none; padding: 0; font-size: 10pt; }
          .figures { grid-template-columns: 1fr 1fr; gap: 1rem; }
          figure table { font-size: 5.5pt; }
          figcaption, p { font-size: 8pt; }
          .table { overflow: visible; }
          section > .table table { font-size: 5.5pt; }
          th, td { padding: 0.1rem 0.25rem; }
          h2 { break-after: avoid; }
        }

        """
}
