#!/usr/bin/env escript
%% Makes etf_erlang.txt, by which TestETFAgreesWithErlang checks both directions of ETF:
%%
%%   go test ./wire -run TestWriteTermsForErlang -erlang-terms /tmp/terms.txt
%%   escript wire/testdata/etf_erlang.escript /tmp/terms.txt > wire/testdata/etf_erlang.txt
%%
%% A line is JSON, our term in hex, the term as Erlang prints it after reading ours, and Erlang's
%% own external format of it in hex, with tabs between. Lines with "-" for our term come from
%% here: terms that our encoder does not make and our decoder must read.
main([File]) ->
    {ok, Data} = file:read_file(File),
    [ours(binary:split(Line, <<"\t">>)) || Line <- binary:split(Data, <<"\n">>, [global, trim])],
    [theirs(Json, Term, Options) || {Json, Term, Options} <- own_terms()].

ours([Json, Hex]) ->
    Term = binary_to_term(unhex(Hex), [safe]),
    line(Json, Hex, Term, [{minor_version, 2}]).

theirs(Json, Term, Options) ->
    line(Json, <<"-">>, Term, Options).

line(Json, Hex, Term, Options) ->
    Own = term_to_binary(Term, Options),
    Printed = lists:flatten(io_lib:format("~w", [Term])),
    file:write(standard_io(), [Json, $\t, Hex, $\t, Printed, $\t, hex(Own), $\n]).

standard_io() ->
    ok = io:setopts([{encoding, latin1}]),
    standard_io.

own_terms() ->
    Plain = [
        {<<"[1,2]">>, {1, 2}},
        {<<"[]">>, {}},
        {<<"[[1],[2]]">>, {[1], {2}}},
        {<<"[1,2,3]">>, "\1\2\3"},
        {<<"[104,101,108,108,111]">>, "hello"},
        {<<"null">>, nil},
        {<<"null">>, null},
        {<<"[true,false,null,null]">>, [true, false, null, nil]},
        {<<"{\"op\":1,\"d\":null}">>, #{<<"op">> => 1, <<"d">> => nil}},
        {<<"\"18446744073709551616\"">>, 1 bsl 64},
        {<<"\"-18446744073709551616\"">>, -(1 bsl 64)},
        {<<"\"1606938044258990275541962092341162602522202993782792835301376\"">>, 1 bsl 200},
        {<<"1.5">>, 1.5},
        {<<"-0.1">>, -0.1},
        {<<"1700000000000">>, 1.7e12},
        {<<"1e300">>, 1.0e300}
    ],
    Large = lists:seq(1, 300),
    LargeJson = iolist_to_binary([$[, lists:join($,, [integer_to_list(N) || N <- Large]), $]]),
    Terms = [{LargeJson, list_to_tuple(Large)} | Plain],
    [{Json, Term, [{minor_version, V}]} || {Json, Term} <- Terms, V <- [0, 1, 2]].

hex(Bin) -> [io_lib:format("~2.16.0b", [B]) || <<B>> <= Bin].

unhex(Hex) -> << <<(binary_to_integer(<<A, B>>, 16))>> || <<A, B>> <= Hex >>.
