// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

import com.google.gson.Gson
import com.google.rpc.BadRequest
import com.google.rpc.ErrorInfo
import com.google.rpc.RetryInfo
import idgw.identity.v1.IdentityServiceGrpcKt.IdentityServiceCoroutineStub
import idgw.identity.v1.KenyaId.KenyaIdType
import idgw.identity.v1.checkCurpRequest
import idgw.identity.v1.copy
import idgw.identity.v1.scrubKenyaIdRequest
import idgw.identity.v1.verifyPeForeignerIdRequest
import io.grpc.CallCredentials
import io.grpc.CallOptions
import io.grpc.Channel
import io.grpc.ClientCall
import io.grpc.ClientInterceptor
import io.grpc.CompositeChannelCredentials
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall
import io.grpc.Grpc
import io.grpc.InsecureChannelCredentials
import io.grpc.ManagedChannel
import io.grpc.Metadata
import io.grpc.MethodDescriptor
import io.grpc.Status
import io.grpc.StatusException
import io.grpc.TlsChannelCredentials
import io.grpc.protobuf.StatusProto
import java.io.File
import java.io.IOException
import java.security.SecureRandom
import java.util.HexFormat
import java.util.UUID
import java.util.concurrent.Executor
import java.util.concurrent.TimeUnit.SECONDS
import kotlinx.coroutines.runBlocking
import idgw.person.v1.PersonServiceGrpcKt.PersonServiceCoroutineStub
import idgw.person.v1.createPersonRequest
import idgw.person.v1.getPersonRequest
import idgw.person.v1.person

/** Sends the token with each call. The file is read each time: tokens are renewed in place. */
private class BearerToken(private val file: File) : CallCredentials() {
    override fun applyRequestMetadata(call: RequestInfo, executor: Executor, applier: MetadataApplier) =
        executor.execute {
            try {
                val token = file.readText().trim()
                applier.apply(Metadata().apply { put(key("authorization"), "Bearer $token") })
            } catch (error: IOException) {
                applier.fail(Status.UNAUTHENTICATED.withCause(error))
            }
        }
}

/**
 * Sends W3C trace context: each call is a span of its own in one trace. With OpenTelemetry in the program, use its
 * gRPC instrumentation instead.
 */
private class TraceContext(private val traceId: String) : ClientInterceptor {
    override fun <Q, A> interceptCall(method: MethodDescriptor<Q, A>, options: CallOptions, next: Channel) =
        object : SimpleForwardingClientCall<Q, A>(next.newCall(method, options)) {
            override fun start(listener: ClientCall.Listener<A>, headers: Metadata) {
                headers.put(key("traceparent"), "00-$traceId-${randomHex(8)}-01")
                super.start(listener, headers)
            }
        }
}

private fun key(name: String) = Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER)

private fun randomHex(bytes: Int): String =
    HexFormat.of().formatHex(ByteArray(bytes).also { SecureRandom().nextBytes(it) })

/** A channel by the environment: TLS if there is a CA file, a token if there is a token file. */
private fun connect(traceId: String): ManagedChannel {
    val caFile = System.getenv("GATEWAY_CA_FILE")
    val tokenFile = System.getenv("GATEWAY_TOKEN_FILE")
    require(caFile != null || tokenFile == null) {
        "GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear"
    }
    val transport =
        if (caFile == null) InsecureChannelCredentials.create()
        else TlsChannelCredentials.newBuilder().trustManager(File(caFile)).build()
    val credentials =
        if (tokenFile == null) transport
        else CompositeChannelCredentials.create(transport, BearerToken(File(tokenFile)))
    val serviceConfig = System.getenv("GATEWAY_SERVICE_CONFIG") ?: "../../deploy/client/service-config.json"
    @Suppress("UNCHECKED_CAST")
    val config = Gson().fromJson(File(serviceConfig).readText(), Map::class.java) as Map<String, *>
    return Grpc.newChannelBuilder(System.getenv("GATEWAY_ADDRESS") ?: "localhost:50051", credentials)
        .defaultServiceConfig(config)
        .intercept(TraceContext(traceId))
        .build()
}

/**
 * What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
 */
private fun explain(error: StatusException): String {
    // A passed deadline has details only if the gateway's answer was quicker than the library's own clock.
    if (error.status.code == Status.Code.DEADLINE_EXCEEDED) return "${error.status.code}"
    var (cause, fields, again) = listOf("", "", "")
    for (detail in StatusProto.fromThrowable(error)?.detailsList.orEmpty()) {
        when {
            detail.`is`(ErrorInfo::class.java) -> {
                val info = detail.unpack(ErrorInfo::class.java)
                val known = info.metadataMap
                cause = " ${info.reason}" + (known["billing"]?.let { " by ${known["provider"]}, $it" } ?: "")
            }
            detail.`is`(BadRequest::class.java) -> {
                val names = detail.unpack(BadRequest::class.java).fieldViolationsList.map { it.field }
                fields = " in " + names.sorted().joinToString(", ")
            }
            detail.`is`(RetryInfo::class.java) ->
                again = ", again after ${detail.unpack(RetryInfo::class.java).retryDelay.seconds} s"
        }
    }
    return "${error.status.code}$cause$fields$again"
}

/** Makes a call that must fail; its explanation. */
private suspend fun refused(call: suspend () -> Any): String {
    try {
        call()
    } catch (error: StatusException) {
        return explain(error)
    }
    error("the call should have been refused")
}

private suspend fun run(channel: ManagedChannel) {
    // A deadline counts from the moment when it is set: each call takes a stub with its own.
    val identities = IdentityServiceCoroutineStub(channel)
    val persons = PersonServiceCoroutineStub(channel)

    // A verification. The answer says what was found, who said it, and what it cost.
    val answer =
        identities.withDeadlineAfter(10, SECONDS).checkCurp(checkCurpRequest { curp = "RAZR811011HVZXPB01" })
    with(answer.verification) { println("found: $outcome by $provider, $billing, ${answer.record.status}") }

    // Nobody by that number: a successful call, not an error.
    val kenyan = scrubKenyaIdRequest {
        id = "00000000"
        idType = KenyaIdType.KENYA_ID_TYPE_NATIONAL_ID
        subjectConsent = true
    }
    val nobody = identities.withDeadlineAfter(10, SECONDS).scrubKenyaId(kenyan).verification
    println("nobody: ${nobody.outcome} by ${nobody.provider}")

    // Errors, read by their details. The message is for people; programs go by code and reason. These calls set no
    // deadline: the service config has one for each.
    val bad = verifyPeForeignerIdRequest { documentNumber = "?"; birthdate = "2999-01-01" }
    println("bad request: " + refused { identities.verifyPeForeignerId(bad) })
    println("no consent: " + refused { identities.scrubKenyaId(kenyan.copy { subjectConsent = false }) })
    val down = checkCurpRequest { curp = "DOWN900101HDFSND09" }
    println("provider down: " + refused { identities.checkCurp(down) })
    val slow = kenyan.copy { id = "900002002" }
    println("too slow: " + refused { identities.withDeadlineAfter(1, SECONDS).scrubKenyaId(slow) })

    // A create can be sent again with its request_id: it returns the first answer.
    val create = createPersonRequest {
        person = person { givenName = "Grace"; familyName = "Muster" }
        requestId = UUID.randomUUID().toString()
    }
    val first = persons.withDeadlineAfter(10, SECONDS).createPerson(create).person
    val again = persons.withDeadlineAfter(10, SECONDS).createPerson(create).person
    println("created: " + if (first.id == again.id) "once" else "twice")

    // A read is free: after UNAVAILABLE the library repeats it as the service config says.
    val read = persons.withDeadlineAfter(10, SECONDS).getPerson(getPersonRequest { id = first.id }).person
    println("read: ${read.givenName} ${read.verificationStatus}")
    val failing = getPersonRequest { id = "person_outofservice" }
    println("read, provider down: " + refused { persons.getPerson(failing) })

    val limited = checkCurpRequest { curp = "MUCH900101HDFSND01" }
    println("rate limit: " + refused { identities.checkCurp(limited) })
}

fun main() {
    val traceId = System.getenv("TRACEPARENT")?.split("-")?.get(1) ?: randomHex(16)
    println("trace: $traceId")
    val channel = connect(traceId)
    try {
        runBlocking { run(channel) }
    } finally {
        channel.shutdownNow().awaitTermination(5, SECONDS)
    }
}
