extension Figure {
    /// What gnuplot has drawn, fit for a page among others: with a name for who does not see it, ids of
    /// its own, and colours that follow the reader's preference.
    func finish(_ svg: String) -> String {
        var svg = svg
        for ink in Ink.allCases {
            for spelling in ink.spellings { svg = svg.replacing(spelling, with: ink.light) }
        }
        // Points and filters have the same ids in every figure.
        for id in ["gpDot", "gpPt", "textbox", "greybox", "gnuplot_canvas"] {
            for quote in ["'", "\""] {
                svg = svg.replacing("id=\(quote)\(id)", with: "id=\(quote)\(name)-\(id)")
            }
            svg = svg.replacing("#\(id)", with: "#\(name)-\(id)")
        }
        svg = svg.replacing(
            "xmlns=\"http://www.w3.org/2000/svg\"",
            with:
                "xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"\(title.escaped)\"")
        // In place of gnuplot's own description.
        if let begin = svg.firstRange(of: "<title>")?.lowerBound,
            let end = svg.firstRange(of: "</desc>")?.upperBound, begin < end
        {
            svg.replaceSubrange(
                begin..<end,
                with: "<title>\(title.escaped)</title>\n<desc>\(caption.escaped)</desc>\n"
                    + "<style>\n\(Ink.styleSheet)</style>")
        }
        return svg
    }
}

extension String {
    /// The text as HTML and XML have it.
    var escaped: String {
        replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
